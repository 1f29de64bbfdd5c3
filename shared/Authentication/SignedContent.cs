using MailPipeline.Authentication.Arc;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Dns;

namespace MailPipeline.Authentication;

/// <summary>
/// The content of one message as it streams by, for whoever wants to know who signed it. Its header section is held, up to a bound; its body is
/// hashed once for each way in which a signature wants that, and not held. What is put in front of a message at the door is no part of it. Used by
/// one caller at a time.
/// </summary>
/// <param name="limits">Of what is read.</param>
/// <param name="records">Keys that were read for other messages; null: none.</param>
public sealed class SignedContent(VerificationLimits limits, KeyRecords? records = null) : IDisposable
{
    private static readonly SignatureFault s_headerTooLong = new(AuthenticationStatus.Policy, "the header section is longer than is read");

    private readonly HeaderCollector _collector = new(limits.MaxHeaderBytes);
    private readonly BodyHashes _bodies = new();
    private readonly PublishedKeys _keys = new(records ?? new());
    private DkimVerification? _dkim;
    private ArcVerification? _arc;
    private bool _isEnded;

    /// <summary>Its fields; null until the header section has ended, and where that is longer than the bound.</summary>
    public MessageHeader? Header { get; private set; }

    /// <summary>The header section has ended, and keys can be asked for.</summary>
    public bool IsHeaderOver => _collector.IsOver;

    /// <summary>DKIM signatures beyond the bound, which are not judged.</summary>
    public int UnjudgedSignatures => _dkim?.UnjudgedSignatures ?? 0;

    /// <summary>Takes octets as they come; lines end in CRLF.</summary>
    public void Take(ReadOnlySpan<byte> content)
    {
        if (!_collector.IsOver)
        {
            content = content[_collector.Take(content)..];
            if (_collector.IsOver)
                ReadHeader();
        }

        if (Header is not null)
            _bodies.Take(content);
    }

    /// <summary>The content ends here.</summary>
    public void End()
    {
        if (_isEnded)
            return;
        _isEnded = true;
        if (!_collector.IsOver)
        {
            _collector.End();
            ReadHeader();
        }

        _bodies.End();
    }

    /// <summary>Asks for the keys that are needed, without waiting for them. To be called once the header section is over.</summary>
    /// <param name="cancellation">Ends the wait for all of them.</param>
    public void AskForKeys(IDnsLookup dns, CancellationToken cancellation)
    {
        if (_dkim is not null)
            _keys.Ask(_dkim.KeyNames.Concat(_arc!.KeyNames), dns, cancellation);
    }

    /// <summary>What is found of each signature, from the top of the header down; none where there are none. The content has ended.</summary>
    /// <param name="cancellation">Ends the wait for keys: what is not known then is a temporary error.</param>
    public async Task<IReadOnlyList<DkimResult>> VerifyAsync(IDnsLookup dns, DateTimeOffset now, CancellationToken cancellation)
    {
        RequireEnd();
        if (_dkim is null)
            return [new DkimResult(s_headerTooLong.Status, "", "", "", "", "", s_headerTooLong.Reason)];
        AskForKeys(dns, cancellation);
        return await _dkim.VerifyAsync(_keys, now, cancellation);
    }

    /// <summary>What is found of the chain of ARC sets. The content has ended.</summary>
    /// <param name="cancellation">Ends the wait for keys: what is not known then is a temporary error.</param>
    public async Task<ArcResult> VerifyArcAsync(IDnsLookup dns, DateTimeOffset now, CancellationToken cancellation)
    {
        RequireEnd();
        if (_arc is null)
            return new ArcResult(AuthenticationStatus.Fail, "", 0, s_headerTooLong.Reason);
        AskForKeys(dns, cancellation);
        return await _arc.VerifyAsync(_keys, now, cancellation);
    }

    public void Dispose() => _bodies.Dispose();

    private void ReadHeader()
    {
        if (_collector.IsTooLong)
            return;
        var header = MessageHeader.Parse(_collector.Section);
        if (header.Fields.Count > limits.MaxFields)
            return;
        Header = header;
        _dkim = new DkimVerification(Header, _bodies, limits);
        _arc = new ArcVerification(Header, _bodies, limits);
    }

    private void RequireEnd()
    {
        if (!_isEnded)
            throw new InvalidOperationException("The content has not ended.");
    }
}
