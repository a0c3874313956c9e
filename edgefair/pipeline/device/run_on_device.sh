#!/bin/sh
# Build, predict and measure a device kit on the device, and leave what the host judges in KIT/results.
# usage: run_on_device.sh KIT [--runtime R] [--precision P]... [--host USER@DEVICE] [--folder F] [-- BENCH OPTIONS]
#   --runtime    tensorrt (the default), tensorrt-rtx, ort, ort-cuda or openvino
#   --precision  these alone; repeatable
#   --host       copy the kit there over ssh, run it there, and bring the results back
#   --folder     where to put it on the device  [default: edgefair-kit, in the home folder]
#   --edgefair   the program there, such as /opt/edgefair/bin/edgefair  [default: edgefair, else python3 -m edgefair]
#   --           what follows goes to `edgefair bench`, such as --batches 1,32 --threads 4
# Exit codes: 0 done, 2 a step failed, 3 built but this machine cannot execute it: not verified on a device.
set -u

say() { printf 'run_on_device: %s\n' "$*" >&2; }
stop() { say "$1"; exit 2; }
failed() { stop "step '$1' failed with exit code $2; the lines above say why"; }
usage() { sed -n '3,8s/^# \{0,1\}//p' "$0" >&2; stop "$1"; }

# What goes through a shell on the device holds nothing that a shell would read as its own.
plain() { case $2 in '' | *[!A-Za-z0-9._,@:/=-]*) usage "$1: '$2' is not a value that can be used" ;; esac; }

kit='' runtime=tensorrt precisions='' host='' folder=edgefair-kit edgefair='' bench=''
while [ $# -gt 0 ]; do
    case $1 in
        --runtime | --precision | --host | --folder | --edgefair)
            [ $# -ge 2 ] || usage "$1 needs a value"
            plain "$1" "$2"
            case $1 in
                --runtime) runtime=$2 ;;
                --precision) precisions="$precisions --precision $2" ;;
                --host) host=$2 ;;
                --folder) folder=$2 ;;
                --edgefair) edgefair=$2 ;;
            esac
            shift 2 ;;
        --)
            shift
            for option in "$@"; do plain 'bench option' "$option"; bench="$bench $option"; done
            break ;;
        -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) usage "unknown option $1" ;;
        *) [ -z "$kit" ] || usage "one kit at a time: $kit and $1"; kit=$1; shift ;;
    esac
done
[ -n "$kit" ] || usage 'no kit given'
for file in kit.json manifest.json gate.npz recipe.toml run_on_device.sh; do
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
    ssh "$host" "cd $folder && sh ./run_on_device.sh . --runtime $runtime$precisions${edgefair:+ --edgefair $edgefair} --$bench" ||
        code=$?
    [ "$code" = 0 ] || { say "the run on $host ended with exit code $code"; [ "$code" = 3 ] && exit 3; exit 2; }
    rm -rf "$kit/results"
    scp -rq "$host:$folder/results" "$kit/" || failed 'bring the results back' $?
}

# "python3 -m edgefair" is three words, and the precisions are several.
# shellcheck disable=SC2086
on_the_device() {
    if [ -z "$edgefair" ]; then
        command -v edgefair >/dev/null && edgefair=edgefair || edgefair='python3 -m edgefair'
    fi
    version=$($edgefair --version) || stop "step 'find edgefair' failed: '$edgefair' does not run; install it here with pip, or name the program with --edgefair"
    say "$version, runtime $runtime"
    results=$kit/results
    rm -rf "$results"
    mkdir -p "$results" || failed 'make the results folder' $?
    code=0
    $edgefair build "$kit" --runtime "$runtime" --recipe "$kit/recipe.toml" $precisions >"$results/built.txt" || code=$?
    case $code in
        0) ;;
        3) say "engines are in $kit, but not verified on a device: nothing was predicted, nothing may count as passed"; exit 3 ;;
        *) failed 'build' "$code" ;;
    esac
    tab=$(printf '\t')
    set --
    while IFS=$tab read -r name file; do
        $edgefair predict "$file" --runtime "$runtime" --gate "$kit/gate.npz" --out "$results/$name.npz" </dev/null ||
            failed "predict with $name" $?
        set -- "$@" "$file"
    done <"$results/built.txt"
    $edgefair bench "$@" --runtime "$runtime" --images "$kit/latency" --json "$results/latency.json" $bench ||
        failed 'measure latency' $?
    cp "$kit/manifest.json" "$results/manifest.json" || failed 'keep the manifest' $?
}

if [ -n "$host" ]; then on_the_host; else on_the_device; fi
say "done; on the host, judge it against the run: edgefair verify RUN $kit/results/*.npz"
say "with a limit on latency, add: --latency $kit/results/latency.json --max-latency-p90-ms LIMIT"
