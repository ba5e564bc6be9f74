package python

import (
	"fmt"
	"testing"

	"cpulb/plugins"
)

// Both sides number what they send each other, each in its own language.
func TestATasksProcessAndTheWorkerMeanTheSameByTheirNumbers(t *testing.T) {
	p := openApart(t, nil)
	path := written(t, `import sys
def main(params, context):
    t = sys.modules["cpulb.template"]
    return [t.ASKED, t.RAISED, t.ENDED, t.TOO_LARGE, t.LINE, int(t.ASK_CANCELLED), int(t.ASK_TIMED_OUT), int(t.RAISE),
            t.REASONS[t.ASK_CANCELLED], t.REASONS[t.ASK_TIMED_OUT]]
`)
	wantData(t, p.run(path, "1"), fmt.Sprintf("[%d,%d,%d,%d,%d,%d,%d,%d,%d,%d]", kindAsked, kindRaised, kindTaskEnded, kindTooLarge, kindLine,
		askCancelled, askTimedOut, raiseStop, plugins.StopCancelled, plugins.StopTimedOut))
}
