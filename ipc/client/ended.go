package client

import (
	"context"
	"errors"
	"fmt"
)

// ended is the error of a call whose context has ended. It matches the context's error and its
// cause, of which a caller may know either.
func ended(ctx context.Context) error { return because(ctx, ctx.Err()) }

// because returns err, which matches both of these where it matches one.
func because(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	is, caused := errors.Is(err, ctx.Err()), errors.Is(err, context.Cause(ctx))
	switch {
	case is && !caused:
		return fmt.Errorf("%w: %w", err, context.Cause(ctx))
	case caused && !is:
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}
