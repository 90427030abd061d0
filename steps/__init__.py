"""The tutorial, one module a step, and the platform client that the steps share."""
