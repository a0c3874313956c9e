"use strict";
// The box of lambda, accuracy and disparity: turned by mouse, touch, buttons and arrow keys.
// edgefair/report/frontier/space.py draws it first, by the same formulas.
for (const figure of document.querySelectorAll("[data-turn]")) {
  const svg = figure.querySelector("svg.space");
  const { width, height } = svg.viewBox.baseVal;
  const { yaw: yaw0, pitch: pitch0, scale } = svg.dataset;
  const parts = [...svg.querySelectorAll("[data-at]")].map(element => {
    const values = element.dataset.at.split(" ").map(Number);
    const places = [];
    for (let i = 0; i < values.length; i += 3) places.push(values.slice(i, i + 3));
    return { element, places, near: element.dataset.near };
  });
  const marks = svg.querySelector(".marks");
  let yaw = Number(yaw0), pitch = Number(pitch0);

  const at = ([x, y, z]) => {
    const right = x * Math.cos(yaw) + z * Math.sin(yaw), front = z * Math.cos(yaw) - x * Math.sin(yaw);
    const down = front * Math.sin(pitch) - y * Math.cos(pitch);
    return [width / 2 + scale * right, height / 2 + scale * down, front * Math.cos(pitch) + y * Math.sin(pitch)];
  };
  const nearest = ([x, y, z], near) => {
    if (near === "z") return [x, y, z * (Math.cos(yaw) >= 0 ? 1 : -1)];
    if (near === "x") return [x * (Math.sin(yaw) > 0 ? -1 : 1), y, z];
    const corners = [-1, 1].flatMap(a => [-1, 1].map(b => [a * Math.abs(x), y, b * Math.abs(z)]));
    corners.sort((a, b) => at(a)[0] - at(b)[0]);
    return corners.at(near === "floor" ? -1 : 0);
  };
  const draw = () => {
    for (const { element, places, near } of parts) {
      const spots = places.map(place => at(near ? nearest(place, near) : place));
      if (element.tagName === "text") {
        element.setAttribute("x", spots[0][0].toFixed(1));
        element.setAttribute("y", (spots[0][1] + 4).toFixed(1));
      } else if (element.tagName === "g") {
        element.setAttribute("transform", `translate(${spots[0][0].toFixed(1)} ${spots[0][1].toFixed(1)})`);
        element.depth = spots[0][2];
      } else {
        element.setAttribute("points", spots.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" "));
      }
    }
    const depth = group => group.querySelector("g[data-at]").depth;
    marks.append(...[...marks.children].sort((a, b) => depth(a) - depth(b)));
  };
  const turn = (sideways, upwards) => {
    yaw += sideways;
    pitch = Math.min(1.5, Math.max(0, pitch + upwards));
    draw();
  };
  const reset = () => { yaw = Number(yaw0); pitch = Number(pitch0); draw(); };
  const steps = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };

  const stage = figure.querySelector(".stage");
  stage.tabIndex = 0;
  stage.addEventListener("keydown", event => {
    if (event.key === "Home") reset();
    else if (steps[event.key]) turn(...steps[event.key]);
    else return;
    event.preventDefault();
  });
  let from = null;
  stage.addEventListener("pointerdown", event => {
    from = [event.clientX, event.clientY];
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", event => {
    if (!from) return;
    turn((event.clientX - from[0]) / 150, (event.clientY - from[1]) / 150);
    from = [event.clientX, event.clientY];
  });
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => { from = null; });
  for (const button of figure.querySelectorAll("button"))
    button.addEventListener("click", () => button.value ? turn(...steps[button.value]) : reset());
  figure.querySelector(".controls").hidden = false;
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(part => { part.open = true; }));
