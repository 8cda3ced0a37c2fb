#!/usr/bin/env bash
# Build `lectern` and `lectern-desktop` for NVIDIA graphics cards. Neither a card nor its driver is
# needed for it. Run it by `make cuda`.
#
# The programs go to $CARGO_TARGET_DIR/cuda, beside those for the CPU and never in their place. They
# run on cards of the Ampere generation (2020) and later.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/lectern/cuda
target=${CARGO_TARGET_DIR:-$PWD/target}
programs=$target/cuda

# NVIDIA's compiler and libraries as Python wheels; all of them unpack into nvidia/cu13.
wheels=(
  nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88
  nvidia-cuda-cccl==13.0.85 nvidia-cuda-runtime==13.0.96 nvidia-cuda-nvrtc==13.0.88
  nvidia-cuda-profiler-api==13.0.85 nvidia-cublas==13.0.2.14 nvidia-curand==10.4.0.35
)

complain() {
  echo "cuda: $*" >&2
  exit 1
}

# The wheels lack what a linker looks for: names without a version, and the folder lib64.
fetch_toolkit() {
  local folder=$cache/toolkit library
  if [ "$(cat "$folder/complete" 2>/dev/null || true)" != "${wheels[*]}" ]; then
    echo "cuda: fetching NVIDIA's compiler, 1.2 GB, to $folder"
    rm -rf "$folder"
    python3 -m pip install --disable-pip-version-check --quiet --no-deps --only-binary :all: \
      --target "$folder" "${wheels[@]}"
    for library in "$folder"/nvidia/cu13/lib/*.so.*; do
      ln -sf "${library##*/}" "${library%.so.*}.so"
    done
    ln -s lib "$folder/nvidia/cu13/lib64"
    echo "${wheels[*]}" >"$folder/complete"
  fi
  export CUDA_HOME=$folder/nvidia/cu13
  export PATH=$CUDA_HOME/bin:$PATH
}

# The driver's library comes with the driver. To link against it, its names are enough: those that
# cudarc declares. Each function answers as NVIDIA's own stubs do, CUDA_ERROR_STUB_LIBRARY.
make_driver_stub() {
  local names
  cargo fetch --locked --quiet
  names=$(grep -rhoE '^pub unsafe fn cu\w+' \
    "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/cudarc-*/src/driver/sys/ | awk '{ print $4 }' | sort -u)
  [ -n "$names" ] || complain "the sources of cudarc are not in cargo's registry"
  mkdir -p "$cache/stub"
  awk '{ print "int " $1 "(void) { return 34; }" }' <<<"$names" |
    cc -shared -fPIC -Wl,-soname,libcuda.so.1 -x c -o "$cache/stub/libcuda.so" -
}

[ "$(uname -s)" = Linux ] || complain "this builds on Linux only"
if command -v nvcc >/dev/null; then
  # Build scripts look for headers and libraries by this name.
  export CUDA_HOME=${CUDA_HOME:-$(dirname "$(dirname "$(readlink -f "$(command -v nvcc)")")")}
else
  fetch_toolkit
fi
make_driver_stub

# One build for all cards: machine code for 8.x, and the intermediate code from which the driver
# makes that of later ones. Not to be chosen: the kernels' build scripts would not notice a change.
export CUDA_COMPUTE_CAP=80
export NVCC_APPEND_FLAGS='-gencode=arch=compute_80,code=compute_80'
# Not RUSTFLAGS: with others, cargo would compile every crate again.
export LIBRARY_PATH=$CUDA_HOME/lib64:$cache/stub${LIBRARY_PATH:+:$LIBRARY_PATH}

# What lies between is kept with that of the build for the CPU, and what has nothing to do with CUDA
# is taken from there. (Not LanceDB: its build scripts share crates with those of the kernels, which
# ask for more of their features.) Only the programs go elsewhere.
CARGO_TARGET_DIR=$programs CARGO_BUILD_BUILD_DIR=$target \
  cargo build --locked --workspace --bins --features lectern-cli/cuda,lectern-desktop/cuda

# The system's loader knows neither the toolkit's folder nor what to say about a missing driver.
for program in lectern lectern-desktop; do
  cat >"$programs/$program" <<END
#!/bin/sh
export LD_LIBRARY_PATH='$CUDA_HOME/lib64'"\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
missing=\$(ldd '$programs/debug/$program' | awk '/not found/ { print " " \$1 }')
if [ -n "\$missing" ]; then
  echo "$program: this program needs an NVIDIA graphics card and its driver. These libraries are missing:" \$missing >&2
  exit 1
fi
exec '$programs/debug/$program' "\$@"
END
  chmod +x "$programs/$program"
  echo "cuda: $programs/$program"
done
