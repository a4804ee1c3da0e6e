"""The officer's desk: pages of the bank client for a branch's loan officers and approvers.

::

    settings   the branch: services, people with protected keys, projects
    seats      who is signed in: cookie, timeouts, throttle; the key is in memory for the session only
    branch     what the desk knows of projects, tables and the catalogue
    cases      one applicant at the window, from consent to decision; in the officer's session only
    approvals  questions that wait for a second person
    ledger     what must not be forgotten: open decisions, in the desk's own file, without any record
    app        the application: headers, limits, refusals; `pages_*` hold its addresses

A browser sees what the person in front of it may see and nothing else: no address, title or log line holds an id of a person,
every page forbids storing, and what a check found leaves the memory with the session.
"""
