#!/bin/bash
# Builds docker/Dockerfile without a Docker engine, on Debian or Ubuntu, as root in a container or
# on a machine: debootstrap makes the base image, buildah the rest, in a chroot. Then the server is
# started from the image and asked whether the model is loaded, and for its page.
#
#   WORK=DIR           where layers and the base system go (default: a temporary folder, removed)
#   PIP_CONF=FILE      pip configuration lent to the build, if the package index needs one
#   VOLUMES="A B"      folders of this machine to see during the build, at the same place, read-only
#   KEEP=1             keep WORK
#   STORAGE_DRIVER=vfs where overlay mounts are not possible (larger and slower)
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in buildah debootstrap curl; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install $tool" >&2; exit 1; }
done

work=${WORK:-$(mktemp -d)}
port=8799
export BUILDAH_ISOLATION=chroot
mkdir -p "$work"
store=(--root "$work/storage" --runroot "$work/run")

cleanup() {
  [[ -z ${server:-} ]] || { kill -TERM "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
  [[ -n ${KEEP:-} ]] || { buildah "${store[@]}" rm --all >/dev/null 2>&1 || true; rm -rf "$work"; }
}
trap cleanup EXIT

base=localhost/duplex-base
if ! buildah "${store[@]}" inspect --type image "$base" >/dev/null 2>&1; then
  echo "making the base image"
  [[ -e $work/base/usr/bin/python3 ]] ||
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm \
      "$work/base" >"$work/debootstrap.log"
  container=$(buildah "${store[@]}" from scratch)
  buildah "${store[@]}" add -q "$container" "$work/base" /
  buildah "${store[@]}" commit -q "$container" "$base" >/dev/null
  buildah "${store[@]}" rm "$container" >/dev/null
fi

echo "building the image"
options=(--format docker --pull-never --build-arg "BASE=$base")
[[ -z ${PIP_CONF:-} ]] || options+=(--secret "id=pip,src=$PIP_CONF")
for volume in ${VOLUMES:-}; do options+=(--volume "$volume:$volume:ro"); done
buildah "${store[@]}" build "${options[@]}" -f docker/Dockerfile -t duplex-agent .

echo "starting it"
container=$(buildah "${store[@]}" from --pull-never duplex-agent)
buildah "${store[@]}" run "$container" -- duplex-agent serve --host 127.0.0.1 --port $port >"$work/server.log" 2>&1 &
server=$!
for _ in $(seq 180); do
  if curl -fsS "http://127.0.0.1:$port/readyz" 2>/dev/null; then
    echo
    curl -fsS "http://127.0.0.1:$port/healthz" >/dev/null
    curl -fsS "http://127.0.0.1:$port/" | grep -qi '<title>'
    echo "the page is served as user $(buildah "${store[@]}" run "$container" -- id -un)"
    exit 0
  fi
  kill -0 "$server" 2>/dev/null || { cat "$work/server.log" >&2; exit 1; }
  sleep 1
done
cat "$work/server.log" >&2
echo "not ready within three minutes" >&2
exit 1
