"""The paper's study redone on simulated samples: plan, marks, figures, answer, page.

Works on finished run folders; who acquires them is `her2sr_acq.verbs.study`.
"""
