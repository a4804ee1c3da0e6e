"""Banks' private models at the node: columns to weigh, encrypted weights, padded scores of everybody who is served.

::

    registering   a bank opens a layout, files encrypted weights, hands over the office's approval
    columns       bins of the node's fields as columns of small integers; counts of pairs of bins for the office
    evaluation    an epoch: all rows under BFV in parts, and the cells that open them
    repository    what is stored

Leakage: `crypto.bfv` and `models.private_model`; the cells are those of every private query.
"""
