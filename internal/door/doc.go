// Package door answers the plainest requests of HTTP/1.1 at little cost and leaves all others to net/http.
//
// Whoever calls an AWS API all day sends the same few things over a connection that it keeps: a POST with an X-Amz-Target, a length and
// a small body. A [Door] reads such a request with one system call, as a rule, and answers it with another. net/http spends several times
// as much on one, most of it to look out for a client that leaves and for one that is slow, from the first moment on.
//
// What a Door promises is that nobody can tell, but by a clock. It takes a request only if it understands every byte of it; as soon as a
// connection brings anything else, such as another method, a chunked body, Expect, or a head in pieces, the connection is net/http's, with
// all that has come, and stays there. So the Door has no answer of its own to a bad request, and none of HTTP's rare parts.
//
// The context of a request ends with its connection or with Serve's, not with the request, and what the request consists of is good until
// its handler returns. Start with [New].
package door
