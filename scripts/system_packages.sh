#!/bin/bash
# System packages of the tests and of training. As root on Debian or Ubuntu the missing ones are
# installed, and named first; elsewhere they are only named.
set -euo pipefail

# package:what proves that it is there (a command, or a file that starts with /)
needs=(
  ffmpeg:ffmpeg
  chromium:chromium
  espeak-ng:espeak-ng
  flite:flite
  festival:text2wave
  festvox-kallpc16k:/usr/share/festival/voices/english/kal_diphone
  festvox-kdlpc16k:/usr/share/festival/voices/english/ked_diphone
  festvox-us-slt-hts:/usr/share/festival/voices/us/cmu_us_slt_arctic_hts
  pocketsphinx-testdata:/usr/share/pocketsphinx/test/data/librivox
  asterisk-core-sounds-en-wav:/usr/share/asterisk/sounds/en_US_f_Allison/vm-no.wav
  asterisk-core-sounds-en:/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz
  asterisk-core-sounds-es-wav:/usr/share/asterisk/sounds/es_MX_f_Allison/demo-congrats.wav
  asterisk-moh-opsound-wav:/usr/share/asterisk/moh/manolo_camp-morning_coffee.wav
)

missing=()
for need in "${needs[@]}"; do
  package=${need%%:*} proof=${need#*:}
  if [[ $proof == /* ]]; then
    [[ -e $proof ]] || missing+=("$package")
  else
    command -v "$proof" >/dev/null || missing+=("$package")
  fi
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

echo "system packages missing: ${missing[*]}"
if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
  echo "install them first, for example: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "installing them with apt-get"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}"
