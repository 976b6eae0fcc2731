"""Why runs are stuck: checks that find the reasons, with evidence, and mend what is provably safe to mend."""
