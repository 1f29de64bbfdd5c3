namespace MailPipeline.Queue.Reports;

/// <summary>Makes the reports about several messages side by side, because each waits for a commit of its own and the store shares commits.</summary>
internal static class ReportsAtOnce
{
    private const int Most = 16;

    /// <summary>False where none was made.</summary>
    public static async Task<bool> MakeAsync<T>(IEnumerable<T> messages, Func<T, Task<bool>> makeAsync)
    {
        var areMade = false;
        foreach (var part in messages.Chunk(Most))
            areMade |= (await Task.WhenAll(part.Select(makeAsync))).Contains(true);
        return areMade;
    }
}
