// Command main answers questions about modules with golang.org/x/mod. It reads and writes JSON lines:
//
//	go run . < answers.jsonl > answers.new && mv answers.new answers.jsonl
//
// The version of x/mod is that of go.mod beside this file.
package main

import (
	"archive/zip"
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	"golang.org/x/mod/sumdb/dirhash"
	mzip "golang.org/x/mod/zip"
	"io"
)

type entry struct {
	Name string `json:"name"`
	Size uint64 `json:"size"`
}
type question struct {
	Op      string   `json:"op"`
	A       []string `json:"a"`
	Entries []entry  `json:"entries,omitempty"`
	Want    any      `json:"want"`
}

func passed(err error) any {
	if err != nil {
		return nil
	}
	return true
}

func checkZip(p, v string, entries []entry) any {
	f, _ := os.CreateTemp("", "oz")
	defer os.Remove(f.Name())
	w := zip.NewWriter(f)
	for _, en := range entries {
		h := &zip.FileHeader{Name: en.Name, Method: zip.Store}
		h.UncompressedSize64 = en.Size
		if strings.HasSuffix(en.Name, "/") {
			h.UncompressedSize64 = 0
		}
		_, err := w.CreateRaw(h)
		if err != nil {
			panic(err)
		}
	}
	w.Close()
	f.Close()
	_, err := mzip.CheckZip(module.Version{Path: p, Version: v}, f.Name())
	return passed(err)
}

func text(s string, err error) any {
	if err != nil {
		return nil
	}
	return s
}

func answer(r question) any {
	a := r.A
	switch r.Op {
	case "path":
		return passed(module.CheckPath(a[0]))
	case "import":
		return passed(module.CheckImportPath(a[0]))
	case "file":
		return passed(module.CheckFilePath(a[0]))
	case "escapePath":
		return text(module.EscapePath(a[0]))
	case "unescapePath":
		return text(module.UnescapePath(a[0]))
	case "escapeVersion":
		return text(module.EscapeVersion(a[0]))
	case "unescapeVersion":
		return text(module.UnescapeVersion(a[0]))
	case "split":
		p, m, ok := module.SplitPathVersion(a[0])
		if !ok {
			return nil
		}
		return []string{p, m}
	case "check":
		if module.CanonicalVersion(a[1]) != a[1] {
			return nil
		}
		return passed(module.Check(a[0], a[1]))
	case "match":
		return module.MatchPrefixPatterns(a[0], a[1])
	case "semver":
		v := a[0]
		if !semver.IsValid(v) {
			return nil
		}
		return map[string]any{"canonical": module.CanonicalVersion(v), "major": semver.Major(v), "majorMinor": semver.MajorMinor(v), "prerelease": semver.Prerelease(v), "build": semver.Build(v)}
	case "compare":
		return semver.Compare(a[0], a[1])
	case "pseudo":
		v := a[0]
		if !module.IsPseudoVersion(v) {
			return nil
		}
		out := map[string]any{"rev": text(module.PseudoVersionRev(v)), "base": text(module.PseudoVersionBase(v))}
		t, err := module.PseudoVersionTime(v)
		if err == nil {
			out["time"] = t.Format(time.RFC3339)
		} else {
			out["time"] = nil
		}
		return out
	case "formatPseudo":
		t, err := time.Parse("20060102150405", a[2])
		if err != nil {
			return nil
		}
		return module.PseudoVersion(a[0], a[1], t, a[3])
	case "zip":
		return checkZip(a[0], a[1], r.Entries)
	case "h1":
		files := map[string]string{}
		for i := 0; i < len(a); i += 2 {
			files[a[i]] = a[i+1]
		}
		names := []string{}
		for k := range files {
			names = append(names, k)
		}
		return text(dirhash.Hash1(names, func(n string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(files[n])), nil }))
	case "gomod":
		data := []byte(a[0])
		f, err := modfile.ParseLax("go.mod", data, nil)
		if err != nil {
			return nil
		}
		out := map[string]any{"module": nil, "deprecated": "", "go": nil}
		if f.Module != nil {
			out["module"] = f.Module.Mod.Path
			out["deprecated"] = f.Module.Deprecated
		}
		if f.Go != nil {
			out["go"] = f.Go.Version
		}
		rs := []any{}
		for _, x := range f.Require {
			rs = append(rs, map[string]any{"path": x.Mod.Path, "version": x.Mod.Version, "indirect": x.Indirect})
		}
		out["require"] = rs
		ts := []any{}
		for _, x := range f.Retract {
			ts = append(ts, map[string]any{"low": x.Low, "high": x.High, "rationale": x.Rationale})
		}
		out["retract"] = ts
		if g, err := modfile.Parse("go.mod", data, nil); err == nil {
			xs := []any{}
			for _, x := range g.Exclude {
				xs = append(xs, map[string]any{"path": x.Mod.Path, "version": x.Mod.Version})
			}
			out["exclude"] = xs
			ps := []any{}
			n := func(s string) any {
				if s == "" {
					return nil
				}
				return s
			}
			for _, x := range g.Replace {
				ps = append(ps, map[string]any{"old": map[string]any{"path": x.Old.Path, "version": n(x.Old.Version)}, "new": map[string]any{"path": x.New.Path, "version": n(x.New.Version)}})
			}
			out["replace"] = ps
			out["toolchain"] = nil
			if g.Toolchain != nil {
				out["toolchain"] = g.Toolchain.Name
			}
		}
		return out
	}
	panic(r.Op)
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<26)
	w := bufio.NewWriter(os.Stdout)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for in.Scan() {
		var r question
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			panic(err)
		}
		r.Want = answer(r)
		enc.Encode(r)
	}
	w.Flush()
}
