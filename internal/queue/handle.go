package queue

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"github.com/rialto-events/rialto/internal/record"
)

const handleVersion = 1

// A receipt handle names one receive of one message of one queue. Callers see Base64 and are not to look into it: a version, the
// queue's ID, the message's slot and key, its number of receives, and a checksum that finds what was cut short or made up.
//
// A message that was received again has another handle; the older one still deletes it in a standard queue, as on AWS. In a FIFO queue it
// has expired.
func formatHandle(id ID, p Place, receives uint32) string {
	b := []byte{handleVersion}
	b = record.AppendUint(b, uint64(id))
	b = appendHandle(b, p.slot, p.key)
	b = record.AppendUint(b, uint64(receives))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.StdEncoding.EncodeToString(b)
}

// parseHandle returns which receive of which message a handle names, if the handle is of that queue.
func parseHandle(id ID, handle string) (receipt, error) {
	b, err := base64.StdEncoding.DecodeString(handle)
	if err != nil || len(b) < 5 {
		return receipt{}, errHandle
	}
	body, sum := b[:len(b)-4], b[len(b)-4:]
	if crc32.ChecksumIEEE(body) != binary.BigEndian.Uint32(sum) {
		return receipt{}, errHandle
	}
	r := record.NewReader(body)
	version, queue := r.Byte(), ID(r.Uint())
	h := readReceipt(r)
	if r.Err() != nil || version != handleVersion || queue != id {
		return receipt{}, errHandle
	}
	return h, nil
}
