// Reads names of zip files on standard input and prints, for each, the h1 that Go's dirhash.HashZip
// gives it, or "refused". Standard library only.
package main

import (
	"archive/zip"
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
)

func hashZip(path string) (string, error) {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return "", err
	}
	defer archive.Close()
	files := map[string]*zip.File{}
	var names []string
	for _, file := range archive.File {
		names = append(names, file.Name)
		files[file.Name] = file
	}
	sort.Strings(names)
	manifest := sha256.New()
	for _, name := range names {
		if strings.Contains(name, "\n") {
			return "", fmt.Errorf("newline in a name")
		}
		sum, err := hashFile(files[name])
		if err != nil {
			return "", err
		}
		fmt.Fprintf(manifest, "%x  %s\n", sum, name)
	}
	return "h1:" + base64.StdEncoding.EncodeToString(manifest.Sum(nil)), nil
}

func hashFile(file *zip.File) ([]byte, error) {
	reader, err := file.Open()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, reader); err != nil {
		return nil, err
	}
	return hash.Sum(nil), nil
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		sum, err := hashZip(lines.Text())
		if err != nil {
			sum = "refused"
		}
		fmt.Println(sum)
	}
}
