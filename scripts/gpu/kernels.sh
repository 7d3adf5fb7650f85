#!/bin/bash
# The kernels on a machine with an NVIDIA GPU and no network: their tests on hardware, then the
# benchmark. Results go to $OUT (default: a folder of the state below).
#
#   scripts/gpu/kernels.sh                    tests, then as much of the benchmark as fits
#   scripts/gpu/kernels.sh --only flow_head_step    any options of `python -m duplex_kernels.bench`
#
# Call it again until it ends with status 0: what was done is kept in the home folder, outside the
# checkout, and is not done twice. Status 3 means that time ran out. SECONDS_EACH bounds one call.
# The GPU's clocks, power limit and other settings are left as they are.
set -uo pipefail
cd "$(dirname "$0")/../.."

state=${STATE:-$HOME/duplex-kernels-state}
out=${OUT:-$state/out}
budget=${SECONDS_EACH:-540}
python=${PYTHON:-python3}
commit=$(git rev-parse HEAD 2>/dev/null || find kernels tests/kernels -name '*.py' -print0 |
  sort -z | xargs -0 cat | sha256sum | cut -c1-12)
mkdir -p "$out" "$state/bench-$commit"
export PYTHONPATH=$PWD/kernels:$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
unset TRITON_INTERPRET DUPLEX_KERNELS_BACKEND

{
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || exit 2
  "$python" - <<'PY' || exit 2
import sys, torch, triton
assert torch.cuda.is_available(), "PyTorch sees no GPU"
print("python", sys.version.split()[0], "torch", torch.__version__, "triton", triton.__version__)
PY
} | tee "$out/machine.txt"
[[ ${PIPESTATUS[0]} -eq 0 ]] || exit 2

# -c /dev/null: the project's pytest settings name plugins that are not needed here.
passed=$state/tests-passed-$commit
if [[ ! -e $passed ]]; then
  timeout $((budget - SECONDS)) "$python" -m pytest -c /dev/null --rootdir . -q -p no:cacheprovider \
    --import-mode importlib -W ignore::pytest.PytestUnknownMarkWarning \
    --ignore tests/kernels/test_compile.py --ignore tests/kernels/test_bench.py \
    tests/kernels 2>&1 | tee "$out/tests.txt"
  tested=${PIPESTATUS[0]}
  [[ $tested -eq 0 ]] && touch "$passed"
  # The benchmark checks each case itself, so a failed test does not keep it from running.
  echo "tests ended with status $tested"
fi

"$python" -m duplex_kernels.bench --out "$state/bench-$commit" --seconds $((budget - SECONDS - 60)) \
  "$@" 2>&1 | tee "$out/bench.txt"
benched=${PIPESTATUS[0]}
cp "$state/bench-$commit"/*.json "$state/bench-$commit"/*.png "$out/" 2>/dev/null
[[ $benched -eq 0 && ! -e $passed ]] && exit 1
exit "$benched"
