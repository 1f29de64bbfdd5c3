using System.Net;

namespace MailPipeline.MtaSts;

/// <summary>Where the host of a domain's policy is.</summary>
public interface IPolicyHosts
{
    /// <summary>Its addresses with the port of HTTPS, the best first; none: it has none that a stranger's policy may lead to.</summary>
    Task<IReadOnlyList<IPEndPoint>> FindAsync(string name);
}
