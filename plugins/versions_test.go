package plugins

import (
	"context"
	"errors"
	"testing"

	"cpulb/plugins/proto"

	"google.golang.org/grpc"
)

// describes is an executor that says this of itself.
type describes struct {
	proto.ExecutorClient
	answer *proto.DescribeResponse
}

func (d describes) Describe(context.Context, *proto.DescribeRequest, ...grpc.CallOption) (*proto.DescribeResponse, error) {
	return d.answer, nil
}

func TestAnotherSlotProtocolIsRefusedWithBothVersions(t *testing.T) {
	for v, want := range map[uint32]string{
		0: "no protocol version in common: the executor x 2.1 speaks version 0 of the slot protocol, this daemon 1",
		7: "no protocol version in common: the executor x 2.1 speaks version 7 of the slot protocol, this daemon 1",
	} {
		c := &Client{rpc: describes{answer: &proto.DescribeResponse{Name: "x", Version: "2.1", SlotProtocol: v}}}
		if _, _, err := c.Describe(t.Context()); !errors.Is(err, ErrVersion) || err.Error() != want {
			t.Errorf("%d: %v", v, err)
		}
	}
}

// What is new within a version is ignored by who does not know it.
func TestWhatANewerExecutorSaysOfItselfIsIgnored(t *testing.T) {
	answer := &proto.DescribeResponse{Name: "x", SlotProtocol: 1, Capabilities: []proto.Capability{1, 99}}
	answer.ProtoReflect().SetUnknown([]byte{0xf8, 0x07, 0x01}) // field 127
	c := &Client{rpc: describes{answer: answer}}
	d, _, err := c.Describe(t.Context())
	if err != nil || !d.CanCancel || len(d.Capabilities()) != 1 {
		t.Errorf("%+v %v", d, err)
	}
}

func TestWhatAnExecutorSaysOfItsSettingsIsBounded(t *testing.T) {
	many := make([]*proto.Setting, mostSettings+1)
	for i := range many {
		many[i] = &proto.Setting{Name: "a"}
	}
	for name, all := range map[string][]*proto.Setting{"no name": {{}}, "not a name": {{Name: "A b"}}, "too many": many, "nothing": {nil}} {
		c := &Client{rpc: describes{answer: &proto.DescribeResponse{SlotProtocol: 1, Settings: all}}}
		if _, _, err := c.Describe(t.Context()); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
