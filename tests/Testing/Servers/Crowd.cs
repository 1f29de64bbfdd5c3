using System.Threading.Channels;

namespace MailPipeline.Testing;

/// <summary>
/// Many who ask at once, again and again, for what only few get at a time. Who is told to come later asks again as soon as somebody has got
/// his answer: all places are taken, and nobody asks in vain without end.
/// </summary>
public sealed class Crowd
{
    private readonly Channel<bool> _answers = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>Somebody has got his answer, one of the crowd or another.</summary>
    public void NoteAnswer() => _answers.Writer.TryWrite(true);

    /// <summary>Ends when all of them have got their last answer.</summary>
    /// <param name="ask">By the member of this number, for so many times before. True: come later.</param>
    /// <param name="end">Nobody asks any more.</param>
    public Task AskAsync(int members, Func<int, int, Task<bool>> ask, CancellationToken end) =>
        Task.WhenAll(Enumerable.Range(0, members).Select(member => AskOnAsync(member, ask, end)));

    private async Task AskOnAsync(int member, Func<int, int, Task<bool>> ask, CancellationToken end)
    {
        try
        {
            for (var times = 0; !end.IsCancellationRequested; times++)
            {
                if (await ask(member, times))
                    await _answers.Reader.ReadAsync(end);
                else
                    NoteAnswer();
            }
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            // It was to come later.
        }
    }
}
