package conformance

// Promises are those that the contract makes, in the order in which they are checked.
func Promises() []Promise {
	blocks, stops := []Behaviour{BlocksUntilStopped}, CapCancel
	blocksAndEcho := []Behaviour{BlocksUntilStopped, Echo}
	return []Promise{
		{"ItDescribesItself", nil, 0, describes},
		{"AnUnusableValueIsRefusedByName", nil, 0, refusesSettings},
		{"ItIsConfiguredOnce", nil, 0, configuredOnce},

		{"AResultIsWhatTheScriptReturned", []Behaviour{Echo}, 0, echoes},
		{"LargeParamsComeBackWhole", []Behaviour{Echo}, 0, largeParams},
		{"ALargeHeaderIsRead", []Behaviour{Echo}, 0, largeHeader},
		{"TasksOfASlotRunInOrder", []Behaviour{Echo}, 0, inOrder},
		{"ResultIsNotHeldAcrossUserCode", blocksAndEcho, 0, notHeld},
		{"SlotsDoNotWaitForEachOther", blocksAndEcho, 0, independent},
		{"CallsAreAnsweredWhileTasksRun", blocks, 0, answersCalls},
		{"StatsCount", blocksAndEcho, 0, stats},

		{"AnErrorIsAFailedResult", []Behaviour{Fails, Echo}, 0, fails},
		{"AScriptThatIsNotThereIsAFailedResult", []Behaviour{Echo}, 0, notThere},
		{"SourceRunsOrIsAFailedResult", []Behaviour{Echo}, 0, source},
		{"AResultThatIsTooLargeFailsTheTaskOnly", []Behaviour{HugeResult, Echo}, 0, hugeResult},
		{"OutputIsBoundedAndSaysSo", []Behaviour{PrintsMuch, Echo}, 0, printsMuch},
		{"OutputThatIsNotTextFailsTheTaskAtMost", []Behaviour{NotText, Echo}, 0, notText},
		{"MegabyteLineOnStdoutDoesNotHang", []Behaviour{StrayOutput, Echo}, 0, strayOutput},
		{"EventsComeInOrderBeforeTheResult", []Behaviour{Events}, CapEvents, events},
		{"NothingFollowsTheResult", []Behaviour{LateEvents, Echo}, CapEvents, lateEvents},

		{"AFailureOfTheExecutorFailsTheTaskOnly", []Behaviour{Panics, Echo}, 0, panics},
		{"AFaultIsToldFromAFailure", []Behaviour{Faulted, Fails, Echo}, 0, faulted},
		{"AProbeRunsWhereTasksDo", []Behaviour{Echo}, 0, probes},
		{"AWorkerThatIsBrokenSaysSo", []Behaviour{Breaks, Echo}, 0, breaks},

		{"RecalledTaskNeverRuns", blocksAndEcho, 0, recalled},
		{"ClaimedTaskIsNotRecalled", blocks, 0, claimedStays},
		{"SharedMemoryTellsWhatHasBecomeOfATask", blocksAndEcho, CapSharedClaims, sharedClaims},
		{"ARunningTaskIsStopped", blocksAndEcho, stops, stopped},
		{"ATaskThatRunsForTooLongEndsAsTimedOut", blocksAndEcho, stops, timesOut},
		{"ACancelIsNeverLost", blocks, stops, cancelRaces},
		{"DrainEndsWhatRunsAndRefusesTheRest", blocksAndEcho, 0, drains},

		{"TasksOfALoopOverlap", []Behaviour{LoopBlocks, LoopEcho}, CapLoop, loopOverlaps},
		{"ATaskOfALoopIsStoppedAlone", []Behaviour{LoopBlocks, LoopEcho}, CapLoop, loopStops},
		{"ATaskHasItsEnvironment", []Behaviour{Environment}, CapTaskEnv, taskEnv},
		{"ATaskStartsInItsDirectory", []Behaviour{WorkingDirectory}, CapTaskCwd, taskCwd},
		{"ScriptsSeeNothingOfThePlumbing", []Behaviour{Environment}, 0, environment},
		{"WithIsolationACrashEndsItsTaskAlone", []Behaviour{Crashes, Echo}, CapIsolation, isolates},
		{"MemoryIsBounded", []Behaviour{EatsMemory}, 0, memory},

		{"ACrashIsNoticedWithItsLastWords", []Behaviour{Crashes}, 0, crash},
		{"AFaultIsToldByItsSignal", []Behaviour{Faults}, 0, faults},
		{"AnExitIsToldByItsStatus", []Behaviour{Exits}, 0, exits},
		{"ChildrenDieWithTheWorker", []Behaviour{SpawnsChild}, 0, childrenDie},
		{"ChildrenDieWithACrashedWorker", []Behaviour{SpawnsChild, Crashes}, 0, childrenDieOfCrash},
		{"EscapedChildrenDieWithTheWorker", []Behaviour{ChildEscapes}, 0, childEscapes},
		{"EscapedChildrenDieWithACrashedWorker", []Behaviour{ChildEscapes, Crashes}, 0, childEscapesCrash},
		{"EscapedChildrenDieWithAStoppedWorker", []Behaviour{ChildEscapes}, 0, childrenDieOfStop},
		{"ItEndsWithTheDaemon", nil, 0, lifeline},
	}
}
