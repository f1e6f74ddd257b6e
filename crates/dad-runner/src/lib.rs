//! The road of a step: nodes, their registry, and the runners of agents and flows
