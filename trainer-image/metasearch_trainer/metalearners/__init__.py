"""Meta-learners: one file each. A meta-learner moves a network's parameters by one outer step at a time."""
