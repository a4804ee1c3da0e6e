"""What every client of office and node trusts and checks, whoever it is: the bank's SDK, the office's console, its auditors.

::

    services  where the two services are, and the keys that verify their word
    peer      one service as one person sees it: answers count with their logs' promises only
    session   one official's session with both
    settings  an auditor's settings at the command line
    auditor   what an auditor does, for the console's pages and the command line alike
"""
