"""The credit office (信用办): who takes part, what subjects consented to, what is approved, and who asked about whom.

::

    directory       institutions, people, suspension          consents          filing, revocation, objections, eligibility
    projects        filing and decision                       models_register   cards and the approval to serve scores
    tickets         one question about one subject            permissions       what a caller may ask about at all
    batches         整村授信: one approval for a place          approvals         the second approval within a bank
    budgets         how many questions                        patterns          questions that raise an alarm
    standing        双授权: two consents for one question       looks             what stands, before the question
    alignments      which customers may be compared           manifests         sealing an epoch's table
    replays         a bank's inputs, recomputed               reports           what became of a check
    access          who looked at me; evidence; alarms        watch             witness of the node's log
    store/          all SQL                                   migrations/       the schema's history
    office, keys, settings, app, cli                          what all share, and how it starts

Leakage. The office knows who asks about whom and why: that is its duty. It never sees a credit record, never holds a key
to one, and keeps of a bank's labels and columns nothing but HMACs and the verdict on them. Together with the node it
could name every question: the two must not pool their records.
"""
