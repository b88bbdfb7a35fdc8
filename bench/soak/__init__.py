# SPDX-License-Identifier: Apache-2.0
"""Half an hour of mixed load on two local guests, after which nothing has grown.

__main__       the command: `python -m bench.soak`
soak           rounds of load, a full table, and a sample
load           what well-behaved clients do
harm           what killed programs and rude clients do
full_tables    descriptors or pids that run out
scene          what an action is given
faulty_crun    a crun that hangs or is killed, as the container's name says
sample         what agent and host hold, and when it counts as flat
growth         how fast a noisy series grows at least
"""
