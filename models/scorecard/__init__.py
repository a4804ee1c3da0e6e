"""The joint scorecard: a bank and the node train one credit model, and neither shows the other a row.

Pure mathematics and pure state machines by role; services move the bytes. In reading order:

- `limits`    every limit as one table of data, and the refusals
- `binning`   bins on row counts alone
- `woe`       weight of evidence from noisy bad counts
- `noise`     the node's own noise: equal questions, equal noise
- `moments`   the moments of both sides and the penalised normal equations
- `inputs`    what a bank opens to the office, and the office's checks and replay
- `rounds`    the two rounds of the masked product: diagram, shapes, digests
- `schemes`   what the product is under, LWE or Paillier: both roles, replay, sizes of messages
- `bank`, `node`  the two roles; `messages` translates to and from the wire
- `learner`   what the node learns from decoded values
- `private`, `private_learner`  the same under differential privacy: what is protected, how much noise it takes
- `snapshot`  a running training as bytes, for the node's own store
- `release`   bands, and the limit on what all bands together say about a column
- `score`     the node's half of a model, applied to new rows, with reason codes
- `group`, `group_columns`, `group_inputs`, `group_bank`, `group_node`  several banks, one model: sums over banks
- `metrics`, `design`, `card`  figures, the bank's own half, the model card
"""
