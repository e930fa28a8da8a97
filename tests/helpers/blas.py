"""How many threads BLAS has just now."""

import numpy as np
from threadpoolctl import threadpool_info


def blas_now() -> set[int]:
    np.ones((2, 2)) @ np.ones((2, 2))
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
