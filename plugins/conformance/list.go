package conformance

// Promises are those that the contract makes, in the order in which they are checked. What
// ends its worker, or leaves it as another one, is checked with a worker of its own.
func Promises() []Promise {
	blocks, stops := []Behaviour{BlocksUntilStopped}, CapCancel
	blocksAndEcho := []Behaviour{BlocksUntilStopped, Echo}
	return []Promise{
		{"ItDescribesItself", nil, 0, describes, false},
		{"AnUnusableValueIsRefusedByName", nil, 0, refusesSettings, false},
		{"ItIsConfiguredOnce", nil, 0, configuredOnce, true},

		{"AResultIsWhatTheScriptReturned", []Behaviour{Echo}, 0, echoes, false},
		{"LargeParamsComeBackWhole", []Behaviour{Echo}, 0, largeParams, false},
		{"ALargeHeaderIsRead", []Behaviour{Echo}, 0, largeHeader, false},
		{"TasksOfASlotRunInOrder", []Behaviour{Echo}, 0, inOrder, false},
		{"ResultIsNotHeldAcrossUserCode", blocksAndEcho, 0, notHeld, false},
		{"SlotsDoNotWaitForEachOther", blocksAndEcho, 0, independent, false},
		{"CallsAreAnsweredWhileTasksRun", blocks, 0, answersCalls, false},
		{"StatsCount", blocksAndEcho, 0, stats, false},

		{"AnErrorIsAFailedResult", []Behaviour{Fails, Echo}, 0, fails, false},
		{"AScriptThatIsNotThereIsAFailedResult", []Behaviour{Echo}, 0, notThere, false},
		{"SourceRunsOrIsAFailedResult", []Behaviour{Echo}, 0, source, false},
		{"AResultThatIsTooLargeFailsTheTaskOnly", []Behaviour{HugeResult, Echo}, 0, hugeResult, false},
		{"OutputIsBoundedAndSaysSo", []Behaviour{PrintsMuch, Echo}, 0, printsMuch, false},
		{"OutputThatIsNotTextFailsTheTaskAtMost", []Behaviour{NotText, Echo}, 0, notText, false},
		{"OutputIsSeenWhileTheTaskRuns", []Behaviour{PrintsAndBlocks}, CapOutput, seenWhileItRuns, false},
		{"MegabyteLineOnStdoutDoesNotHang", []Behaviour{StrayOutput, Echo}, 0, strayOutput, false},
		{"EventsComeInOrderBeforeTheResult", []Behaviour{Events}, CapEvents, events, false},
		{"NothingFollowsTheResult", []Behaviour{LateEvents, Echo}, CapEvents, lateEvents, false},

		{"AFailureOfTheExecutorFailsTheTaskOnly", []Behaviour{Panics, Echo}, 0, panics, true},
		{"AFaultIsToldFromAFailure", []Behaviour{Faulted, Fails, Echo}, 0, faulted, false},
		{"AProbeRunsWhereTasksDo", []Behaviour{Echo}, 0, probes, false},
		{"AWorkerThatIsBrokenSaysSo", []Behaviour{Breaks, Echo}, 0, breaks, true},

		{"RecalledTaskNeverRuns", blocksAndEcho, 0, recalled, false},
		{"ClaimedTaskIsNotRecalled", blocks, 0, claimedStays, false},
		{"SharedMemoryTellsWhatHasBecomeOfATask", blocksAndEcho, CapSharedClaims, sharedClaims, false},
		{"ARunningTaskIsStopped", blocksAndEcho, stops, stopped, false},
		{"ATaskThatRunsForTooLongEndsAsTimedOut", blocksAndEcho, stops, timesOut, false},
		{"ACancelIsNeverLost", blocks, stops, cancelRaces, false},
		{"DrainEndsWhatRunsAndRefusesTheRest", blocksAndEcho, 0, drains, true},

		{"TasksOfALoopOverlap", []Behaviour{LoopBlocks, LoopEcho}, CapLoop, loopOverlaps, false},
		{"ATaskOfALoopIsStoppedAlone", []Behaviour{LoopBlocks, LoopEcho}, CapLoop, loopStops, false},
		{"ATaskHasItsEnvironment", []Behaviour{Environment}, CapTaskEnv, taskEnv, false},
		{"ATaskStartsInItsDirectory", []Behaviour{WorkingDirectory}, CapTaskCwd, taskCwd, false},
		{"ScriptsSeeNothingOfThePlumbing", []Behaviour{Environment}, 0, environment, false},
		{"WithIsolationACrashEndsItsTaskAlone", []Behaviour{Crashes, Echo}, CapIsolation, isolates, false},
		{"MemoryIsBounded", []Behaviour{EatsMemory}, 0, memory, false},

		{"ACrashIsNoticedWithItsLastWords", []Behaviour{Crashes}, 0, crash, true},
		{"AFaultIsToldByItsSignal", []Behaviour{Faults}, 0, faults, true},
		{"AnExitIsToldByItsStatus", []Behaviour{Exits}, 0, exits, true},
		{"ChildrenDieWithTheWorker", []Behaviour{SpawnsChild}, 0, childrenDie, true},
		{"ChildrenDieWithACrashedWorker", []Behaviour{SpawnsChild, Crashes}, 0, childrenDieOfCrash, true},
		{"EscapedChildrenDieWithTheWorker", []Behaviour{ChildEscapes}, 0, childEscapes, true},
		{"EscapedChildrenDieWithACrashedWorker", []Behaviour{ChildEscapes, Crashes}, 0, childEscapesCrash, true},
		{"EscapedChildrenDieWithAStoppedWorker", []Behaviour{ChildEscapes}, 0, childrenDieOfStop, true},
		{"ItEndsWithTheDaemon", nil, 0, lifeline, true},
	}
}
