#!/bin/sh
# Build, predict and measure a device kit on the device, and leave what the host judges in KIT/results.
# usage: run_on_device.sh KIT [--runtime R] [--precision P]... [--threads N] [--host USER@DEVICE] [--folder FOLDER]
#   --runtime    tensorrt (the default), tensorrt-rtx, ort, ort-cuda or openvino
#   --precision  these alone; repeatable
#   --host       copy the kit there over ssh, run it there, and bring the results back
#   --folder     where to put it on the device; letters, digits and . _ - / only  [default: edgefair-kit]
# EDGEFAIR is the command to run, such as "/opt/edgefair/bin/edgefair"; on the device `edgefair` or `python3 -m edgefair`.
# Exit codes: 0 done, 2 a step failed, 3 built but this machine cannot execute it: not verified on a device.
set -u

say() { printf 'run_on_device: %s\n' "$*" >&2; }
stop() { say "$1"; exit 2; }
failed() { stop "step '$1' failed with exit code $2; the lines above say why"; }
usage() { sed -n '3,7s/^# \{0,1\}//p' "$0" >&2; stop "$1"; }

kit='' runtime=tensorrt precisions='' threads=0 host='' folder=edgefair-kit
while [ $# -gt 0 ]; do
    case $1 in
        --runtime | --precision | --threads | --host | --folder)
            [ $# -ge 2 ] || usage "$1 needs a value"
            case $1 in
                --runtime) runtime=$2 ;;
                --precision) precisions="$precisions --precision $2" ;;
                --threads) threads=$2 ;;
                --host) host=$2 ;;
                --folder) folder=$2 ;;
            esac
            case $2 in '' | -* | *[!A-Za-z0-9._@:/-]*) usage "$1: '$2' is not a value that can be used" ;; esac
            shift 2 ;;
        -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) usage "unknown option $1" ;;
        *) [ -z "$kit" ] || usage "one kit at a time: $kit and $1"; kit=$1; shift ;;
    esac
done
[ -n "$kit" ] || usage 'no kit given'
for file in kit.json manifest.json gate.npz latency.npy recipe.toml run_on_device.sh; do
    [ -f "$kit/$file" ] || stop "step 'look at the kit' failed: $kit/$file is missing; make a kit with edgefair bundle"
done

# shellcheck disable=SC2029,SC2086 # the checked options are expanded on this side on purpose
on_the_host() {
    say "copying $kit to $host:$folder"
    ssh "$host" "rm -rf $folder/results && mkdir -p $folder" || failed 'reach the device' $?
    if command -v rsync >/dev/null && ssh "$host" 'command -v rsync' >/dev/null; then
        rsync -rtz --exclude results/ "$kit/" "$host:$folder/" || failed 'copy the kit' $?
    else
        set --
        for file in "$kit"/*; do [ "$file" = "$kit/results" ] || set -- "$@" "$file"; done
        scp -rq "$@" "$host:$folder/" || failed 'copy the kit' $?
    fi
    code=0
    ssh "$host" "cd $folder && EDGEFAIR='${EDGEFAIR:-}' sh ./run_on_device.sh . --runtime $runtime --threads $threads$precisions" || code=$?
    [ "$code" = 0 ] || { say "the run on $host ended with exit code $code"; [ "$code" = 3 ] && exit 3; exit 2; }
    rm -rf "$kit/results"
    scp -rq "$host:$folder/results" "$kit/" || failed 'bring the results back' $?
}

find_edgefair() {
    if [ -z "${EDGEFAIR:-}" ]; then
        command -v edgefair >/dev/null && EDGEFAIR=edgefair || EDGEFAIR='python3 -m edgefair'
    fi
    # Split on purpose: "python3 -m edgefair" is three words.
    # shellcheck disable=SC2086
    version=$($EDGEFAIR --version) || stop "step 'find edgefair' failed: '$EDGEFAIR' does not run; pip install edgefair on this machine, or set EDGEFAIR"
    say "$version, runtime $runtime"
}

# shellcheck disable=SC2086 # EDGEFAIR and the precisions are split on purpose
on_the_device() {
    find_edgefair
    results=$kit/results
    rm -rf "$results"
    mkdir -p "$results" || failed 'make the results folder' $?
    code=0
    $EDGEFAIR build "$kit" --runtime "$runtime" --recipe "$kit/recipe.toml" $precisions >"$results/built.txt" || code=$?
    case $code in
        0) ;;
        3) say "engines are in $kit, but not verified on a device: nothing was predicted, nothing may count as passed"; exit 3 ;;
        *) failed 'build' "$code" ;;
    esac
    tab=$(printf '\t')
    while IFS=$tab read -r name file; do
        $EDGEFAIR predict "$file" --runtime "$runtime" --gate "$kit/gate.npz" --threads "$threads" \
            --out "$results/$name.npz" </dev/null || failed "predict with $name" $?
        $EDGEFAIR bench "$file" --runtime "$runtime" --images "$kit/latency.npy" --recipe "$kit/recipe.toml" \
            --json "$results/$name.latency.json" </dev/null || failed "measure $name" $?
    done <"$results/built.txt"
    cp "$kit/manifest.json" "$results/manifest.json" || failed 'keep the manifest' $?
}

if [ -n "$host" ]; then on_the_host; else on_the_device; fi
say "done; on the host, judge it against the run: edgefair verify RUN $kit/results/*.npz"
