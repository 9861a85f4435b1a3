"""What leaves the process other than as traffic: access logs.

Must not know: what a line says.
"""
