// Command load asks a GOPROXY server for paths in turn, over a number of connections, for a number
// of seconds, and prints one JSON line. Arguments: BASE CONNECTIONS SECONDS FILE (a path per line).
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type result struct {
	Requests  int     `json:"requests"`
	Failed    int     `json:"failed"`
	Seconds   float64 `json:"seconds"`
	Megabytes float64 `json:"megabytes"`
	P50       float64 `json:"p50"`
	P99       float64 `json:"p99"`
}

func main() {
	base := os.Args[1]
	connections, _ := strconv.Atoi(os.Args[2])
	seconds, _ := strconv.ParseFloat(os.Args[3], 64)
	text, err := os.ReadFile(os.Args[4])
	if err != nil {
		panic(err)
	}
	paths := strings.Fields(string(text))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true}}
	var next, bytes, failed atomic.Int64
	times := make([][]float64, connections)
	started := time.Now()
	end := started.Add(time.Duration(seconds * float64(time.Second)))
	var wait sync.WaitGroup
	for lane := range connections {
		wait.Go(func() {
			buffer := make([]byte, 256<<10)
			for time.Now().Before(end) {
				path := paths[int(next.Add(1))%len(paths)]
				asked := time.Now()
				size, err := get(client, base+path, buffer)
				if err != nil {
					failed.Add(1)
					continue
				}
				bytes.Add(size)
				times[lane] = append(times[lane], time.Since(asked).Seconds()*1000)
			}
		})
	}
	wait.Wait()
	took := time.Since(started).Seconds()
	var all []float64
	for _, one := range times {
		all = append(all, one...)
	}
	sort.Float64s(all)
	out := result{Requests: len(all), Failed: int(failed.Load()), Seconds: took, Megabytes: float64(bytes.Load()) / 1e6}
	if len(all) > 0 {
		out.P50, out.P99 = all[len(all)/2], all[len(all)*99/100]
	}
	line, _ := json.Marshal(out)
	fmt.Println(string(line))
}

func get(client *http.Client, url string, buffer []byte) (int64, error) {
	answer, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	size, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{answer.Body}, buffer)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", answer.StatusCode)
	}
	return size, err
}
