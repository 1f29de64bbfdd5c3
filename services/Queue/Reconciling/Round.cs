using System.Runtime.ExceptionServices;

namespace MailPipeline.Queue.Reconciling;

/// <summary>
/// What is done again and again, one at a time, by whomever it is called for: calls that come too early do nothing. A round that was in
/// vain, or that only looked, is followed by a pause as long as it takes to keep such rounds at their share of the time.
/// </summary>
/// <param name="share">From 0 to 1: of the time, for rounds that were in vain. 1: they pause for nothing but the interval.</param>
internal sealed class Round(TimeSpan interval, TimeProvider time, double share = 1)
{
    private static readonly TimeSpan s_longestPause = TimeSpan.FromMinutes(1);

    private long? _began;
    private long _ended;
    private TimeSpan _pause;
    private bool _isRunning;
    private bool _isWanted;

    /// <summary>From the end of a round that was in vain to the next.</summary>
    public TimeSpan PauseAfter(TimeSpan took)
    {
        var pause = took * ((1 / share) - 1);
        return pause < interval ? interval : pause > s_longestPause ? s_longestPause : pause;
    }

    /// <param name="run">False: in vain.</param>
    /// <param name="atOnce">However early it comes; during a round, right after it.</param>
    public async Task RunAsync(Func<Task<bool>> run, bool atOnce = false)
    {
        if (atOnce && _isRunning)
            _isWanted = true;
        // Half an interval: the calls of several silos are not in step.
        if (_isRunning || !(atOnce || IsTime))
            return;
        Exception? failure = null;
        do
        {
            _isWanted = false;
            try
            {
                await RunOnceAsync(run);
            }
            // Whoever asked for the next one has been told nothing of this one.
            catch (Exception exception) when (_isWanted)
            {
                failure ??= exception;
            }
        }
        while (_isWanted);
        if (failure is not null)
            ExceptionDispatchInfo.Throw(failure);
    }

    /// <summary>A round that is never in vain.</summary>
    public Task RunAsync(Func<Task> run) => RunAsync(async () =>
    {
        await run();
        return true;
    });

    private bool IsTime =>
        _began is not { } began || (time.GetElapsedTime(began) >= interval / 2 && time.GetElapsedTime(_ended) >= _pause);

    private async Task RunOnceAsync(Func<Task<bool>> run)
    {
        _isRunning = true;
        _began = time.GetTimestamp();
        var useful = false;
        try
        {
            useful = await run();
        }
        finally
        {
            _isRunning = false;
            _ended = time.GetTimestamp();
            var pause = PauseAfter(time.GetElapsedTime(_began.Value));
            _pause = useful || pause <= interval ? TimeSpan.Zero : pause;
        }
    }
}
