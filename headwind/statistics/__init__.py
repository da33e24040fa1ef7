"""Trials in, intervals and verdicts out: pure functions of arrays, so that the bench can try them 2,000 times.

    blocks      the additive model of a blocked experiment, with stray outliers set aside
    spending    how much of the error rate each interim look may spend
    verdicts    better, worse, equivalent, undecided: replayed look by look, and when to stop
    adjustment  the effect without the optimism of having stopped early
    search      which of many settings is (nearly) the best, in little load time
    bisection   the highest rate that holds an objective, from answers that are sometimes wrong
    trend       is what is in flight still growing?
    queueing    what theory says of one serial server, and the bounds of a closed loop

`docs/comparing.md` explains every rule to users; each module names its sources.
"""
