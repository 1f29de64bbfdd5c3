using System.Runtime.ExceptionServices;

namespace MailPipeline.Queue.Reconciling;

/// <summary>
/// What is done again and again, one at a time, by whomever it is called for: calls that come too early do nothing. A round that was in
/// vain is followed by a pause as long as it takes to keep such rounds at their share of the time.
/// </summary>
internal sealed class Round(DutyPace pace, TimeProvider time)
{
    private long? _began;
    private long _ended;
    private TimeSpan _pause;
    private bool _isRunning;
    private bool _isWanted;

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

    private bool IsTime =>
        _began is not { } began || (time.GetElapsedTime(began) >= pace.Interval / 2 && time.GetElapsedTime(_ended) >= _pause);

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
            var pause = pace.PauseAfter(time.GetElapsedTime(_began.Value));
            _pause = useful || pause <= pace.Interval ? TimeSpan.Zero : pause;
        }
    }
}
