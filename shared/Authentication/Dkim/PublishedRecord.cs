using MailPipeline.Dns;

namespace MailPipeline.Authentication.Dkim;

/// <summary>What the DNS has at the name of a key's record.</summary>
public enum RecordState
{
    /// <summary>The other half of the key.</summary>
    Published,

    /// <summary>Something else.</summary>
    Other,

    /// <summary>Nothing.</summary>
    Missing,

    /// <summary>There was no answer.</summary>
    Unknown,
}

/// <summary>Whether signatures of a key of ours can be verified by others.</summary>
public static class PublishedRecord
{
    /// <summary>A signature by the key, held against what is published: what others find, we find.</summary>
    public static async Task<RecordState> FindAsync(DkimSigningKey key, IDnsLookup dns, CancellationToken cancellation)
    {
        var answer = await dns.TxtAsync(key.RecordName, cancellation);
        if (answer.Status == DnsStatus.Failed)
            return RecordState.Unknown;
        if (answer.Records.Count == 0)
            return RecordState.Missing;
        var hash = new byte[32];
        var signature = key.Sign(hash);
        return answer.Records.Any(record => KeyRecord.Read(record.Text, key.Algorithm) is { Fault: null } published && published.Verifies(hash, signature))
            ? RecordState.Published : RecordState.Other;
    }
}
