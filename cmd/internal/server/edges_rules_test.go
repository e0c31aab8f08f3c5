package server

// The rules of what comes out.

func always(status int, code string) func(edgeCall) (int, string) {
	return func(edgeCall) (int, string) { return status, code }
}

// own is what the call answers when nothing is wrong.
func own(c edgeCall) (status int, code string) { return c.status, "" }

// guardedBy is for what those refuse that ask who it is.
func guardedBy(status int, code string) func(edgeCall) (int, string) {
	return func(c edgeCall) (int, string) {
		if !c.guarded() {
			return own(c)
		}
		return status, code
	}
}

// ofBody is for what is wrong with a body; a call that has none does not look.
func ofBody(status int, code string) func(edgeCall) (int, string) {
	return func(c edgeCall) (int, string) {
		if !c.hasBody {
			return own(c)
		}
		return status, code
	}
}

func ofKeyAlone(c edgeCall) (status int, code string) {
	if c.needsToken() {
		return 401, "UNAUTHORIZED"
	}
	return own(c)
}

func ofAnothersKey(c edgeCall) (status int, code string) {
	switch {
	case c.needsToken():
		return 401, "UNAUTHORIZED"
	case c.guarded():
		return 404, "_NOT_FOUND"
	}
	return own(c)
}

// ofNoCall is what is said of a path or a method that is not there.
func ofNoCall(status int) func(edgeCall) (int, string) {
	return func(c edgeCall) (int, string) {
		if c.kind == kindRoom {
			return own(c)
		}
		if c.kind == kindOpen { // whoever shows nothing does not learn what is there
			return 401, "UNAUTHORIZED"
		}
		return status, "there is no such call"
	}
}

// The ways to spoil a request.

func header(name, value string) func(*edge, edgeCall, *edgeRequest) {
	return func(_ *edge, _ edgeCall, r *edgeRequest) { r.header.Set(name, value) }
}

func body(change func(good string) string) func(*edge, edgeCall, *edgeRequest) {
	return func(_ *edge, c edgeCall, r *edgeRequest) {
		if r.body == "" { // it may have one all the same
			r.body = `{"name":"x"}`
		}
		r.body = change(r.body)
	}
}

func key(of func(e *edge) string, alone bool) func(*edge, edgeCall, *edgeRequest) {
	return func(e *edge, _ edgeCall, r *edgeRequest) {
		r.header.Set("X-API-Key", of(e))
		if alone {
			r.header.Del("Authorization")
		}
	}
}

func target(change func(string) string) func(*edge, edgeCall, *edgeRequest) {
	return func(_ *edge, _ edgeCall, r *edgeRequest) { r.target = change(r.target) }
}
