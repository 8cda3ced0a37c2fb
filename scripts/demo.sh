#!/usr/bin/env bash
# Show in a terminal what Lectern does, on a machine without a display: read samples/ and answer
# two questions about it. Run it by `make run`, which builds the program first.
set -euo pipefail
cd "$(dirname "$0")/.."

lectern=${CARGO_TARGET_DIR:-target}/debug/lectern
# Kept, so that the second time finds everything read.
export LECTERN_LIBRARY=${LECTERN_LIBRARY:-${XDG_CACHE_HOME:-$HOME/.cache}/lectern/demo}

if [ ! -x "$lectern" ]; then
  echo "demo: $lectern is not built; run make run" >&2
  exit 1
fi

echo "Reading the documents in samples/ …"
"$lectern" add samples --wait

for question in \
  "Why did the bilge pump of the ferry Saltmarsh Lass lose its prime?" \
  "贝壳绑缚法的十二个月存活率是多少？"; do
  printf '\n── %s\n\n' "$question"
  "$lectern" ask "$question"
done

cat <<END

This terminal has no display. On a desktop, \`make run\` opens the window instead.
Ask more here, with answers from the same library:

  export LECTERN_LIBRARY=$LECTERN_LIBRARY
  $lectern ask "What is the rated flow of the TL-40?"
END
