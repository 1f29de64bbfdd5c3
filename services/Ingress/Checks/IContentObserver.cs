namespace MailPipeline.Ingress.Checks;

/// <summary>
/// Sees the content of one message as it was received, while it streams into storage: all of it, before anything is left out, and nothing of what
/// is put in front. Content that is refused meanwhile is not shown to its end.
/// </summary>
internal interface IContentObserver : IDisposable
{
    /// <summary>More of it; the octets are the caller's again when this returns.</summary>
    void Take(ReadOnlySpan<byte> content);

    /// <summary>The content ends here.</summary>
    void End();
}

/// <summary>Several observers of one message.</summary>
internal sealed class ContentObservers(IContentObserver[] observers) : IContentObserver
{
    public void Take(ReadOnlySpan<byte> content)
    {
        foreach (var observer in observers)
            observer.Take(content);
    }

    public void End()
    {
        foreach (var observer in observers)
            observer.End();
    }

    public void Dispose()
    {
        foreach (var observer in observers)
            observer.Dispose();
    }
}
