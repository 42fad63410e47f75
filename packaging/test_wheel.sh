#!/usr/bin/env bash
# Build the wheel, install it alone in build/wheel, and do with it what README promises: no sources, no torch.
#   packaging/test_wheel.sh [PYTHON]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
python=${1:-python3}
place=$root/build/wheel
bin=$place/venv/bin
said=$place/said.txt

fail() { echo "test-wheel: $1" >&2; [ ! -s "$said" ] || cat "$said" >&2; exit 1; }

# Exit code of a command, whose output is kept in $said.
code_of() { local code=0; "$@" >"$said" 2>&1 || code=$?; echo "$code"; }

echo "Building the wheel and installing it in build/wheel"
rm -rf "$place"
mkdir -p "$place/empty"
"$python" -m venv "$place/venv"
pip=("$bin/python" -m pip --disable-pip-version-check -q --no-input)
"${pip[@]}" wheel --no-deps --wheel-dir "$place" .
"${pip[@]}" install -c constraints.txt "$place"/mesoscope-*.whl

cd "$place/empty" # where no sources can be imported by mistake
"$bin/python" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is not None)" ||
  fail "the bare wheel brings torch"
"$bin/python" -c "import mesoscope; assert '$root/src' not in mesoscope.__file__" || fail "the sources are imported"

version=$(ls "$place"/mesoscope-*.whl | sed 's/.*mesoscope-\([^-]*\)-.*/\1/')
"$bin/mesoscope" --version >"$said" 2>&1 || fail "--version ends with $?"
grep -qF "$version" "$said" || fail "--version does not say $version"

[ "$(code_of "$bin/mesoscope" scan "$root/samples" --out scan.jsonl)" = 1 ] ||
  fail "scan of samples/ must end with 1, as one file is broken on purpose"
[ "$(wc -l <scan.jsonl)" = 14 ] || fail "scan of samples/ wrote $(wc -l <scan.jsonl) verdicts and not 14"
[ "$(grep -c '"source.unreadable"' scan.jsonl)" = 1 ] || fail "scan names not one unreadable file"

[ "$(code_of "$bin/mesoscope" explain "$root/samples/real/hopper.jpg" -o explained.png)" = 0 ] || fail "explain fails"
[ -s explained.png ] || fail "explain wrote no picture"
[ "$(code_of "$bin/mesoscope" models verify)" = 0 ] || fail "a shipped model is not whole"
[ "$(code_of "$bin/mesoscope" check --server http://127.0.0.1:9 "$root/samples/real/hopper.jpg")" = 3 ] &&
  grep -qF "pip install 'mesoscope[client]'" "$said" || fail "check does not name the extra that it needs"

"$bin/python" - "$root" >"$said" 2>&1 <<'EOF' || fail "the lines of README fail"
import sys
import mesoscope

root = sys.argv[1]
verdict = mesoscope.check(f"{root}/samples/real/collins.jpg")
assert 0 <= verdict.p_fake <= 1, verdict
broken = f"{root}/samples/odd/cut_short.jpg"
(answer,) = mesoscope.Detector().check_many([broken], keep_going=True)
assert answer.error, answer
EOF
echo "The wheel of $version judges the samples: scan, explain, models, Python; no torch"
