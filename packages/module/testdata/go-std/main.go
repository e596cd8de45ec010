// Command main asks Go's standard library what the tests compare with; it needs nothing but that.
package main

import (
	"archive/zip"
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"
	"unicode"
)

func main() {
	w := bufio.NewWriter(os.Stdout)
	defer w.Flush()
	switch os.Args[1] {
	case "unicode":
		listRunes(w)
	case "match":
		answer(w, func(a []string) any {
			ok, _ := path.Match(a[0], a[1])
			return ok
		})
	case "info":
		answer(w, func(a []string) any { return readInfo(a[0]) })
	case "zip":
		answer(w, func(a []string) any { return readZip(a[0]) })
	}
}

// listRunes writes "rune orbit-minimum letter print" for each rune that is not itself, no letter and not printable.
func listRunes(w io.Writer) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		least := r
		for x := unicode.SimpleFold(r); x != r; x = unicode.SimpleFold(x) {
			least = min(least, x)
		}
		flags := 0
		if unicode.IsLetter(r) {
			flags |= 1
		}
		if unicode.IsPrint(r) {
			flags |= 2
		}
		if least != r || flags != 0 {
			fmt.Fprintln(w, r, least, flags)
		}
	}
}

// answer reads JSON arrays of strings, one a line, and writes one JSON value for each.
func answer(w io.Writer, f func([]string) any) {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<26)
	out := json.NewEncoder(w)
	for in.Scan() {
		var a []string
		if err := json.Unmarshal(in.Bytes(), &a); err != nil {
			panic(err)
		}
		if err := out.Encode(f(a)); err != nil {
			panic(err)
		}
	}
}

// readInfo reads what cmd/go reads of an .info file: version and Unix time, or nil.
func readInfo(text string) any {
	var info struct {
		Version string
		Time    time.Time
	}
	if json.Unmarshal([]byte(text), &info) != nil {
		return nil
	}
	return []any{info.Version, info.Time.Unix()}
}

// readZip gives the names of a zip file with the SHA-256 of their content, or nil when one cannot be read.
func readZip(file string) any {
	z, err := zip.OpenReader(file)
	if err != nil {
		return nil
	}
	defer z.Close()
	lines := []string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil
		}
		h := sha256.New()
		if _, err := io.Copy(h, r); err != nil {
			return nil
		}
		lines = append(lines, fmt.Sprintf("%x  %s\n", h.Sum(nil), f.Name))
	}
	return strings.Join(lines, "")
}
