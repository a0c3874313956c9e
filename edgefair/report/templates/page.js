"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const minus = number => number.toFixed(1).replace("-", "−");

// Tabs: without this script all panels show, one below the other.
for (const list of all("[role=tablist]")) {
  const tabs = all("[role=tab]", list);
  const choose = chosen => {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", tab === chosen);
      tab.tabIndex = tab === chosen ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
    }
  };
  list.addEventListener("click", event => {
    const tab = event.target.closest("[role=tab]");
    if (tab) choose(tab);
  });
  list.addEventListener("keydown", event => {
    const at = tabs.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    const tab = tabs.at(to % tabs.length);
    choose(tab);
    tab.focus();
  });
  list.hidden = false;
  choose(tabs[0]);
}

// Flipped images: a picture shows if one of its steps fits, and its group and class do.
for (const form of all("[data-flips]")) {
  const pictures = all(".flips > li", form);
  const show = () => {
    const want = Object.fromEntries(all("select", form).map(select => [select.name, select.value]));
    const fits = kinds => kinds.split(" ").some(kind => {
      const [step, became] = kind.split(":");
      return (!want.step || want.step === step) && (!want.became || want.became === became);
    });
    for (const picture of pictures) {
      const { kinds, group, label } = picture.dataset;
      picture.hidden = !(fits(kinds) && (!want.group || want.group === group) && (!want.label || want.label === label));
    }
    const left = pictures.filter(picture => !picture.hidden).length;
    form.querySelector("output").textContent = `${left} of ${pictures.length} pictures shown`;
  };
  form.addEventListener("change", show);
  form.querySelector(".controls").hidden = false;
  show();
}

// Long tables: show the rows whose name holds what was typed.
for (const field of all("[data-find]")) {
  const rows = all(`#${field.dataset.find} tbody tr`);
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
  });
  field.closest(".controls").hidden = false;
}

// The objective A - lambda * D: another lambda turns the line and changes the numbers.
const slider = document.getElementById("weight");
const iso = document.getElementById("iso");
if (slider) {
  const show = () => {
    const weight = Number(slider.value);
    document.getElementById("weight-value").textContent = weight.toFixed(2);
    for (const cell of all("[data-accuracy]"))
      cell.textContent = minus(Number(cell.dataset.accuracy) - weight * Number(cell.dataset.disparity));
    if (!iso) return;
    const { a, d, across, up } = iso.ownerSVGElement.dataset;
    const [low, high, start, end] = JSON.parse(across);
    const [bottom, top] = JSON.parse(up);
    [["x1", bottom], ["x2", top]].forEach(([name, height]) => {
      const accuracy = Number(a) + weight * (height - Number(d));
      iso.setAttribute(name, start + (accuracy - low) / (high - low) * (end - start));
    });
  };
  slider.addEventListener("input", show);
  slider.closest(".controls").hidden = false;
}

// Paper cannot be clicked: everything that is folded away is opened.
addEventListener("beforeprint", () => all("details").forEach(part => { part.open = true; }));
