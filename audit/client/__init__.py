"""What every client of office and node trusts and checks, whoever it is: the bank's SDK, the office's console, its auditors.

::

    services  where the two services are, and the keys that verify their word
    peer      one service as one person sees it: answers count with their logs' promises only
    session   one official's session with both
"""
