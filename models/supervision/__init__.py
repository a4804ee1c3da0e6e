"""What a supervisor sees: figures about archives, departments, banks, objections and agricultural credit, of no single person.

::

    node's statement ─┐ (in tens)
    banks' reports ───┤ (in tens)             ┌─> CSV
    the log's entries ┴─> tally ─> released ──┴─> printable page
                          exact    what may be shown

`messages` is what travels, `periods` names quarters, `steps` shows what stands still (stocks) in tens, `disclosure` hides small
cells of what happened (flows) in closed quarters, `tally` counts a log's entries, `release` puts figures together from both.
"""
