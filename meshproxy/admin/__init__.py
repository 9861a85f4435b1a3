"""What people and programs ask of the sidecar itself: readiness, scrapes, the admin API.

Served by the supervisor. Goes in: requests on the sidecar's own ports. Comes out: text and JSON.
Must not know: anything of the traffic that is being carried.
"""
