"""The fast path: the passes of `charrnn.nn`, compiled by LLVM for the shapes of one run."""
