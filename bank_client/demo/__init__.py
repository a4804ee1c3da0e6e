"""The main job as a demonstration: office, node and bank as separate processes on this machine, real HTTP between them.

`town` starts the two services with databases of their own and enrols people; `job` is the main job's steps, the same for
every data set; `county_job` runs them on the synthetic county, `csv_job` on any two CSV files. The demonstration acts for
several people (clerk, steward, operator, modeller, officer), each with a key of their own, through the same endpoints that
those people would use.
"""
