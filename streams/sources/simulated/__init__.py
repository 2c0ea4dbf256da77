"""A seeded AWS organisation that never was: its people, machines and services, what goes wrong in it, and the truth.

Every person and every pipeline is a *life*: an iterator of events in time order. Machines and AWS services share one
*pool* that fills each hour up to what was asked for. A *story* is what is injected: an incident, or what only looks like
one. `world.events` merges them, `delivery` puts them into files, `truth` says what should be found. One seed decides all.
"""
