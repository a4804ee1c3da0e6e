"""The joint training's products under HEU's OU scheme (2048 bit), run by an interpreter that has sf-heu and nothing of ours.

Arguments: rows, node columns, bank columns. The bank encrypts labels and columns; the node sums the labels by bin and
multiplies its columns with every vector, without masks or noise. Prints CPU seconds.
"""

import resource
import sys

import numpy as np
from heu import numpy as hnp
from heu import phe

BINS = 20


def main(rows: int, node_columns: int, bank_columns: int) -> None:
    """Both products, once."""
    random = np.random.default_rng(1)
    vectors = random.integers(-1024, 1024, (rows, 1 + bank_columns))
    vectors[:, 0] = vectors[:, 0] > 900
    columns = random.integers(-1024, 1024, (node_columns, rows))
    codes = random.integers(0, BINS, (rows, node_columns)).astype(np.int8)
    kit = hnp.setup(phe.SchemaType.OU, 2048)
    encoder = phe.IntegerEncoder(kit.get_schema(), scale=1)
    before = _cpu()
    sent = kit.encryptor().encrypt(kit.array(vectors, encoder))
    node = kit.evaluator()
    counts = node.feature_wise_bucket_sum(sent[:, :1], np.ones((1, rows), np.int8), codes, BINS, False)
    moments = node.matmul(kit.array(columns, encoder), sent)
    kit.decryptor().decrypt(counts)
    found = kit.decryptor().decrypt(moments).to_numpy(encoder)
    print(_cpu() - before)
    if not np.array_equal(found, columns @ vectors):
        raise SystemExit("the products do not come out")


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
