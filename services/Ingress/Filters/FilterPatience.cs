namespace MailPipeline.Ingress.Filters;

/// <summary>How long a message may still wait for one filter: each wait has its bound, and all of them together have one.</summary>
/// <param name="perMessage">All of them together.</param>
internal sealed class FilterPatience(TimeSpan perMessage, TimeProvider time)
{
    private TimeSpan _waited;

    /// <summary>A message begins.</summary>
    public void Begin() => _waited = TimeSpan.Zero;

    /// <summary>A wait begins; its end is that of what is returned.</summary>
    /// <param name="longest">Unless less is left.</param>
    public FilterWait For(TimeSpan longest)
    {
        var left = perMessage - _waited;
        var bound = longest < left ? longest : left;
        return new FilterWait(this, bound > TimeSpan.Zero ? bound : TimeSpan.Zero, time);
    }

    /// <summary>One wait.</summary>
    internal sealed class FilterWait(FilterPatience patience, TimeSpan bound, TimeProvider time) : IDisposable
    {
        private readonly CancellationTokenSource _end = new(bound, time);
        private readonly long _since = time.GetTimestamp();

        public CancellationToken Token => _end.Token;

        public void Dispose()
        {
            patience._waited += time.GetElapsedTime(_since);
            _end.Dispose();
        }
    }
}
