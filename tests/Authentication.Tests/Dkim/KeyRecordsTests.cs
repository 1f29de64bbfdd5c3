using System.Security.Cryptography;
using MailPipeline.Authentication.Dkim;

namespace MailPipeline.Authentication.Tests.Dkim;

/// <summary>Keys that were read before.</summary>
public sealed class KeyRecordsTests : IDisposable
{
    private readonly RSA _key = RSA.Create(1024);
    private readonly KeyRecords _records = new();

    private string Record => $"v=DKIM1; p={Convert.ToBase64String(_key.ExportSubjectPublicKeyInfo())}";

    public void Dispose() => _key.Dispose();

    [Fact]
    public void A_key_is_read_once_for_each_algorithm()
    {
        var read = _records.Read(Record, "rsa-sha256");
        Assert.Null(read.Fault);
        Assert.Same(read, _records.Read(Record, "rsa-sha256"));
        Assert.NotNull(_records.Read(Record, "ed25519-sha256").Fault);
        Assert.NotSame(read, _records.Read($"{Record}; t=s", "rsa-sha256"));
    }

    [Fact]
    public void What_is_no_key_or_very_long_is_not_kept_and_neither_are_keys_without_end()
    {
        foreach (var record in (string[])["v=DKIM1; p=", "nonsense", $"{Record}; n={new string('x', 3000)}"])
            _records.Read(record, "rsa-sha256");
        Assert.Equal(0, _records.Count);
        for (var i = 0; i < KeyRecords.MaxKeys + 10; i++)
            _records.Read($"{Record}; n={i}", "rsa-sha256");
        Assert.InRange(_records.Count, 1, KeyRecords.MaxKeys);
    }

    [Fact]
    public void Many_verify_with_one_key_at_a_time_and_each_hears_what_is_true()
    {
        byte[] right = new byte[32], wrong = [.. Enumerable.Repeat((byte)1, 32)];
        var signature = _key.SignHash(right, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        Parallel.For(0, 2000, i =>
        {
            var key = _records.Read(Record, "rsa-sha256");
            Assert.Equal(i % 3 != 0, key.Verifies(i % 3 == 0 ? wrong : right, signature));
        });
    }
}
